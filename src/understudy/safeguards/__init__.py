"""May this be made: consent records and the gate that asks for them, people who were removed,
and the content guard."""
