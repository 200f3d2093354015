"""The specification language: from YAML text to a resolved ``Spec`` in which every number is a number and every name is bound."""
