"""The marks of each figure and the numbers its sentences quote; everything comes from tables.

For figure F<k>: ``values_f<k>(tables)`` returns what headline, note and alt text may name, and
``draw_f<k>(figure, tables, say, values)`` draws and returns the frame of what is drawn.
"""

from kokeilu_analysis.report.drawings.backlog import *  # noqa: F403
from kokeilu_analysis.report.drawings.comparison import *  # noqa: F403
from kokeilu_analysis.report.drawings.ground import *  # noqa: F403
from kokeilu_analysis.report.drawings.lag import *  # noqa: F403
from kokeilu_analysis.report.drawings.limits import *  # noqa: F403
