# a1_region_graph, at most 0 points
# %%
files = [open('/dev/null') for _ in range(10**6)]
