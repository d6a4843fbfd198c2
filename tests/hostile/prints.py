# a1_region_graph, at most 0 points
# %%
import sys
while True: print('x' * 10**6)
