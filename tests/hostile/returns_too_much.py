# a1_region_graph, at most 0 points
# %%
def affinity(*a): return torch.zeros(1).expand(10**9)
def reason(*a): return 10 ** (10**6)
loudest = []
# %%
for _ in range(10**5): loudest = [loudest]
