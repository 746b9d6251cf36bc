import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { themeVariables } from "./theme/plugin.ts";

export default defineConfig({
  plugins: [react(), themeVariables()],
  resolve: { alias: { "@rjsf/validator-ajv8": fileURLToPath(new URL("theme/no-ajv.ts", import.meta.url)) } },
  build: {
    target: "es2024",
    // A file inside another would be a `data:` address, which the policy of fonts and scripts forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // Whose work is in it: the file goes into the program with the rest.
    license: { fileName: "licences.md" },
    // Parts of the page that are loaded when somebody needs them may be as large as they are.
    chunkSizeWarningLimit: 600,
  },
  test: { include: ["src/**/*.test.ts"] },
});
