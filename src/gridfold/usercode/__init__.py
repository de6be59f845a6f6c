"""Find and load what users bring: functions `file.py:function`, their modules, notebooks."""
