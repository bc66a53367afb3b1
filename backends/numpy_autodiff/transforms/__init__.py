"""Transforms: functions that take a function and return a derivative of it. All of them nest in any order."""
