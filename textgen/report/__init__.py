"""How runs went: their evaluations as curves in a terminal and as a page, while they go on and after.

history     a model's or a run's evaluations, read line by line; what is damaged is left out
curve       curves of plain characters
page        one run, or several beside each other, as a page
report.css  the design of that page's own parts, in `pages/`
"""
