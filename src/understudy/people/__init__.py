"""The rights of a person over their data: consent that is stated, carried and taken back,
removal, and their decoder or their whole part of a model as a file of its own."""
