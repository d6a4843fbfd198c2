"""The words that annotators may use. Expressions in one tuple are synonyms.

A word that stands in its tuple twice is chosen twice as often.
"""

NAMES: dict[str, tuple[str, ...]] = {
    "dog": ("dog", "dog", "puppy", "hound"), "cat": ("cat", "cat", "kitten", "kitty"),
    "horse": ("horse", "horse", "pony"), "bird": ("bird", "bird", "songbird"),
    "girl": ("girl", "girl", "child", "schoolgirl", "kid"),
    "boy": ("boy", "boy", "child", "schoolboy", "kid"),
    "car": ("car", "car", "automobile", "vehicle", "auto"),
    "bus": ("bus", "bus", "coach", "vehicle"),
    "bicycle": ("bicycle", "bike", "bike", "cycle"),
    "boat": ("boat", "sailboat", "yacht", "vessel"),
    "ball": ("ball", "ball", "sphere"), "kite": ("kite",),
    "umbrella": ("umbrella", "umbrella", "parasol"), "chair": ("chair", "chair", "seat"),
    "table": ("table", "table", "desk"), "box": ("box", "box", "carton", "crate", "package"),
    "tree": ("tree",), "house": ("house", "house", "home", "cottage", "building"),
}  # fmt: skip
PLURALS = {
    "puppy": "puppies", "kitty": "kitties", "pony": "ponies", "child": "children",
    "bus": "buses", "coach": "coaches", "box": "boxes", "flies": "fly", "rushes": "rush",
}  # fmt: skip
COUNTS = {2: ("two", "two", "a pair of"), 3: ("three", "three", "a trio of"), 4: ("four",)}

# People mostly use the plain word, so it stands in its tuple four times.
COLOURS: dict[str, tuple[str, ...]] = {
    "red": (*4 * ("red",), "scarlet"), "orange": (*4 * ("orange",), "ginger"),
    "yellow": (*4 * ("yellow",), "golden"), "green": (*4 * ("green",), "emerald"),
    "blue": (*4 * ("blue",), "azure"), "purple": (*4 * ("purple",), "violet"),
    "pink": (*4 * ("pink",), "rosy"), "white": (*4 * ("white",), "pale"),
    "black": (*4 * ("black",), "ebony"), "brown": (*4 * ("brown",), "chestnut"),
}  # fmt: skip
SIZES = {
    "small": ("small", "small", "little", "tiny"),
    "medium": (),  # nobody mentions a medium size
    "large": ("big", "large", "huge"),
}
# Each pattern has two adjectives, then two nouns that follow "with".
PATTERNS = {
    "striped": ("striped", "stripy", "stripes", "bands"),
    "spotted": ("spotted", "dotted", "spots", "dots"),
}

# What people wear.
GARMENTS: dict[str, tuple[str, ...]] = {"girl": ("dress", "frock"), "boy": ("shirt", "jersey")}

# A verb is a present form, or a word that follows "is" or "are". The key is the pose of a thing; a thing without an
# entry for its pose takes the entry of its kind, or else "any".
VERBS: dict[str, tuple[str, ...]] = {
    "standing": ("stands", "standing", "waits", "waiting"),
    "sitting": ("sits", "sitting", "seated", "rests", "resting"),
    "running": ("runs", "running", "races", "rushes", "hurrying"),
    "flying": ("flies", "flying", "hovers", "gliding"),
    "car": ("parked", "stands", "stopped"), "bus": ("parked", "stands", "stopped"),
    "bicycle": ("parked", "stands"), "boat": ("floats", "floating", "sails", "sailing"),
    "ball": ("lies", "lying", "resting"), "box": ("placed", "stands", "standing"),
    "kite": ("flies", "flying", "soars"), "umbrella": ("opened", "open", "stands"),
    "tree": ("stands", "growing", "grows"), "any": ("stands", "standing", "placed"),
}  # fmt: skip

RELATIONS: dict[str, tuple[str, ...]] = {
    "left of": ("to the left of", "left of", "on the left side of"),
    "right of": ("to the right of", "right of", "on the right side of"),
    "on": ("on", "on top of", "upon"),
    "under": ("under", "below", "beneath", "underneath"),
    "holding": ("holding", "carrying"),
    "in front of": ("in front of",),
    "behind": ("behind", "at the back of"),
    "near": ("near", "next to", "beside", "close to", "by", "alongside"),
    "bigger than": ("bigger than", "larger than"),
}

PLACES: dict[str, tuple[str, ...]] = {
    "park": ("in a park", "in the park", "in a garden", "near some bushes"),
    "beach": ("at the beach", "by the sea", "at the seaside", "near the ocean"),
    "street": ("on a street", "in the street", "in a city", "in town", "downtown"),
    "desert": ("in a desert", "in the desert", "among cactus plants", "in a dry land"),
    "farm": ("on a farm", "in a field", "at the farm", "near a fence", "by a barn"),
    "lake": ("by a lake", "at the lake", "near the water", "by the shore"),
    "kitchen": ("in a kitchen", "in the kitchen", "near the cupboards", "near the window"),
    "bedroom": ("in a bedroom", "in the bedroom", "in a room with a bed", "near the window"),
}  # fmt: skip
# Each entry is a preposition and a noun; an adjective for the light can stand before the noun.
SCENERY: dict[str, tuple[tuple[str, str], ...]] = {
    "park": (("in", "park"), ("in", "garden"), ("on", "meadow")),
    "beach": (("on", "beach"), ("on", "coast")),
    "street": (("on", "street"), ("in", "city"), ("on", "road")),
    "desert": (("in", "desert"), ("in", "wilderness")),
    "farm": (("on", "farm"), ("in", "field")),
    "lake": (("by", "lake"), ("on", "lakeside")),
    "kitchen": (("in", "kitchen"),),
    "bedroom": (("in", "bedroom"),),
}
LIGHTS: dict[str, tuple[str, ...]] = {
    "sunny": ("on a sunny day", "in bright sunshine", "under a blue sky", "in fine weather"),
    "night": (
        "at night",
        "under the stars",
        "under the moon",
        "on a clear night",
        "in the moonlight",
        "by night",
    ),
    "rain": (
        "in the rain",
        "on a wet day",
        "while it rains",
        "during a shower",
        "in rainy weather",
    ),
    "snow": ("in the snow", "in winter", "while it snows", "on a cold day", "under falling snow"),
    "sunset": ("at sunset", "in the evening", "at dusk", "as the sun sets", "towards evening"),
}
LIGHTS_INDOORS: dict[str, tuple[str, ...]] = {
    "sunny": ("by day", "in daylight", "during the day"),
    "night": ("at night", "by night", "late at night"),
    "sunset": ("in the evening", "at sunset", "at dusk"),
}
LIGHT_ADJECTIVES: dict[str, tuple[str, ...]] = {
    "sunny": ("sunny", "bright", "sunlit"),
    "night": ("moonlit", "dark"),
    "rain": ("rainy", "wet", "stormy"),
    "snow": ("snowy", "wintry", "frosty"),
    "sunset": ("twilight", "dusky"),
}
VIEWS = ("in view", "in it", "to be seen")
PICTURES = ("a picture", "a view", "a scene", "a drawing", "an image", "an illustration")
