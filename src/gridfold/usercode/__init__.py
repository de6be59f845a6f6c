"""What users bring: functions `file.py:function`, the modules beside them, notebooks."""
