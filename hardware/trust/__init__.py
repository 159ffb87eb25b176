"""How machines trust each other: a token lets a machine join once, the platform's own authority certifies its
name, and a credential of its own opens what concerns that node alone (decision 18)."""
