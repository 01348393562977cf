"""What has been measured, for people: a page that can be sent to somebody, and tables for other programs.

figures.py tells of a result what is compared, units.py writes numbers, summary.py says it in words, charts.py
draws, tables.py and as_csv.py make rows, html.py joins all of it with page/. cli.py is the command. They know
results as JSON has them (rig/measure/result.py says what stands there), and nothing of how they were
measured.
"""
