"""The engines of a cluster: a plan split into units, carried out on other machines, whose rows come back as text."""
