"""Makes src/viz/assets/inter_{regular,semibold}.ttf from Inter's OpenType files: python tools/subset_font.py Inter-Regular.otf OUT.ttf

Needs fonttools. What remains: the characters below, their outlines as quadratic curves, widths, and pair kerning as a plain
table; no hinting, no layout tables.
"""

import sys

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0

RANGES = [(0x20, 0x7E), (0xA0, 0x148), (0x14A, 0x17F), (0x384, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3CE), (0x2010, 0x2015), (0x2018, 0x201E), (0x2070, 0x2071), (0x2074, 0x208E)]
SINGLES = "ϑϕϵ†‡•…‰′″‹›€™Ω←↑→↓↔⇐⇒∂∆∏∑−√∞∫≈≠≤≥×÷·°◊■□▲△▼▽◆○●✓✗∅"
KERNED = [chr(c) for c in range(0x21, 0x7F)]


def pair_kerning(font: TTFont, cmap: dict[int, str]) -> dict[tuple[str, str], int]:
    """What GPOS 'kern' says about pairs of ASCII characters."""
    gpos = font["GPOS"].table
    lookups = {i for f in gpos.FeatureList.FeatureRecord if f.FeatureTag == "kern" for i in f.Feature.LookupListIndex}
    pairs: dict[tuple[str, str], int] = {}
    names = [cmap[ord(c)] for c in KERNED if ord(c) in cmap]
    for index in sorted(lookups):
        for table in gpos.LookupList.Lookup[index].SubTable:
            table = table.ExtSubTable if hasattr(table, "ExtSubTable") else table
            if getattr(table, "Format", 0) not in (1, 2) or not hasattr(table, "ValueFormat1"):
                continue
            covered = {name: i for i, name in enumerate(table.Coverage.glyphs)}
            for left in names:
                if left not in covered:
                    continue
                if table.Format == 1:
                    for record in table.PairSet[covered[left]].PairValueRecord:
                        if record.SecondGlyph in names and record.Value1:
                            pairs.setdefault((left, record.SecondGlyph), record.Value1.XAdvance or 0)
                    continue
                first = table.ClassDef1.classDefs.get(left, 0)
                for right in names:
                    value = table.Class1Record[first].Class2Record[table.ClassDef2.classDefs.get(right, 0)].Value1
                    if value and getattr(value, "XAdvance", 0):
                        pairs.setdefault((left, right), value.XAdvance)
    return {pair: value for pair, value in pairs.items() if abs(value) >= 0.012 * font["head"].unitsPerEm}


def main(source: str, target: str) -> None:
    font = TTFont(source)
    kerning = pair_kerning(font, font.getBestCmap())
    wanted = [c for low, high in RANGES for c in range(low, high + 1)] + [ord(c) for c in SINGLES]
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=[0, 1, 2, 13, 14], legacy_kern=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=wanted)
    subsetter.subset(font)
    glyphs = font.getGlyphSet()
    order = font.getGlyphOrder()
    outlines = {}
    for name in order:
        pen = TTGlyphPen(None)
        glyphs[name].draw(Cu2QuPen(pen, font["head"].unitsPerEm / 1000, reverse_direction=True))
        outlines[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder = order
    font["glyf"].glyphs = outlines
    font["hmtx"].metrics = {name: (font["hmtx"].metrics[name][0], 0) for name in order}
    maxp = font["maxp"]
    maxp.tableVersion = 0x00010000
    for field in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs", "maxStackElements",
                  "maxSizeOfInstructions", "maxComponentElements", "maxComponentDepth", "maxPoints", "maxContours",
                  "maxCompositePoints", "maxCompositeContours"):
        setattr(maxp, field, 1 if field == "maxZones" else 0)
    for tag in ("CFF ", "GPOS", "GSUB", "GDEF", "BASE", "VORG", "DSIG", "STAT", "OS/2"):
        if tag in font:
            del font[tag]
    font["post"].formatType = 3.0
    kern = newTable("kern")
    kern.version = 0
    table = KernTable_format_0()
    table.version, table.coverage, table.apple = 0, 1, False
    table.kernTable = {pair: value for pair, value in kerning.items() if pair[0] in outlines and pair[1] in outlines}
    kern.kernTables = [table]
    font["kern"] = kern
    font.sfntVersion = "\0\1\0\0"
    font.save(target)
    missing = [f"U+{c:04X}" for c in wanted if c not in font.getBestCmap()]
    print(target, len(order), "glyphs", len(table.kernTable), "pairs; not in the font:", " ".join(missing) or "none")


if __name__ == "__main__":
    main(*sys.argv[1:])
