"""For the settings of the tests alone: `flush`, which Django calls between transactional tests,
takes the triggers of the append-only tables away for as long as it lasts."""
