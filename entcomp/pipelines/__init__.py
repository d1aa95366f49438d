"""From audio to units, groups, text and voices: what the library and the command line offer."""
