"""The checker that conftest.py hooks into the package: beartype, for which an int is a float too."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
