# a6_capstone, at most 4 points
# %%
def similarity(images, texts): return vl.cross_attention(images, texts)
