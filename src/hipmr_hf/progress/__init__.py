"""How far long work is: a bar at a terminal or in a notebook, and in a log a line now and then.

In: a count, a total, what is done. Out: `bars.progress_bar`, which every long loop of the project uses.
"""
