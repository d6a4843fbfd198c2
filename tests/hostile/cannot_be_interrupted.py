# a1_region_graph, at most 0 points
# %%
while True:
    try:
        while True: pass
    except BaseException: pass
