import {
  convertCssVariables,
  DEFAULT_THEME,
  defaultCssVariablesResolver,
  mergeMantineTheme,
} from "@mantine/core";
import type { Plugin } from "vite";
import { theme } from "./theme.ts";

const NAME = "virtual:theme.css";
const RESOLVED = `\0${NAME}`;

/**
 * The theme's variables as a file of their own. Mantine would write them into a `<style>` as the page
 * runs, which the content security policy forbids, as it forbids every other style from a script.
 */
export function themeVariables(): Plugin {
  return {
    name: "theme-variables",
    resolveId: id => (id === NAME ? RESOLVED : undefined),
    load(id) {
      if (id !== RESOLVED) return undefined;
      return convertCssVariables(
        defaultCssVariablesResolver(mergeMantineTheme(DEFAULT_THEME, theme)),
        ":root",
      );
    },
  };
}
