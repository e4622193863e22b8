"""For the settings of the tests alone: how tables are emptied between transactional tests."""
