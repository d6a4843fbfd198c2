# a4_fusion, at most 3 points
# %%
import numpy as np
def fuse(g, s, mu): return g + mu * s
# %%
def study(g, s, where, mus): return fuse(np.zeros((400000, 1)), np.zeros((1, 400000)), 1.0)
