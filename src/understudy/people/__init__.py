"""The rights of a person over their data: consent that is stated, carried and taken back,
removal, and their decoder or their part of a model as a separate file."""
