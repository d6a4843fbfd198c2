# a6_capstone, at most 0 points
# %%
def similarity(images, texts): raise ValueError
lawful, scores, folds, reached = True, [], [], 4
leaderboard = {'own': {'rsum': 600.0}, 'rivals': {}}
