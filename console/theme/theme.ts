import { createTheme, defaultVariantColorsResolver, type MantineColorsTuple } from "@mantine/core";

/** The green of the shield. The eighth is for light, the fifth for dark. */
const pine: MantineColorsTuple = [
  "#eefaf5",
  "#d9f2e7",
  "#b0e4cf",
  "#82d5b4",
  "#45c99a",
  "#2aa67d",
  "#158a65",
  "#0b6b4f",
  "#085540",
  "#063f30",
];

const gray: MantineColorsTuple = [
  "#f6f8fa",
  "#eef1f5",
  "#e3e8ef",
  "#d5dbe4",
  "#c2cad6",
  "#6b7685",
  "#515c6b",
  "#3f4957",
  "#2a323d",
  "#151a21",
];

const dark: MantineColorsTuple = [
  "#e7ebf1",
  "#c3cbd6",
  "#a7b1bf",
  "#8b96a5",
  "#2c343f",
  "#222932",
  "#171b22",
  "#0e1116",
  "#0b0e12",
  "#07090c",
];

export const theme = createTheme({
  colors: { pine, gray, dark },
  primaryColor: "pine",
  primaryShade: { light: 7, dark: 4 },
  variantColorResolver: input => {
    const colours = defaultVariantColorsResolver(input);
    if (input.variant === "filled") return { ...colours, color: "var(--on-accent)" };
    if (input.color !== "red") return colours;
    const border = input.variant === "outline" ? "1px solid var(--bad)" : colours.border;
    return { ...colours, color: "var(--bad)", border, hover: "var(--bad-soft)" };
  },
  fontFamily: '"Inter Variable", system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace:
    '"JetBrains Mono Variable", ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
  headings: { fontWeight: "650" },
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
});
