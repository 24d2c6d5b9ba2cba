"""One look for every figure: size, type, and colour by role."""

WIDTH_MM, DPI, MM = 159, 200, 25.4  # MM: millimetres in an inch
NAVY, ORANGE, ORANGE_TEXT = "#12436D", "#F46A25", "#A33A00"  # trial, control, control as text
DARK, GRID, BAND, EDGE = "#3D3D3D", "#D9D9D9", "#EEEEEE", "#767676"
STYLE = {
    "font.family": "DejaVu Sans",  # matplotlib ships it: the same figure on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": EDGE,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.labelcolor": DARK,
    "text.color": DARK,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "ytick.major.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "kokeilu",
}
