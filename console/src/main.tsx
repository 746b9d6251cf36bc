import "./fonts.css";
import "@mantine/core/styles.layer.css";
import "virtual:theme.css";
import "./tokens.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { theme } from "../theme/theme.ts";
import { begin } from "./api/store.ts";
import { App } from "./app.tsx";

const queries = new QueryClient({
  defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false, staleTime: 60_000 } },
});

const root = document.getElementById("root");
if (root) {
  void begin(new AbortController().signal);
  createRoot(root).render(
    <StrictMode>
      {/* The styles are files: no script writes any, so that the policy can forbid it. */}
      <MantineProvider
        theme={theme}
        defaultColorScheme="auto"
        withCssVariables={false}
        withGlobalClasses={false}
        deduplicateCssVariables={false}
      >
        <QueryClientProvider client={queries}>
          <Router hook={useHashLocation}>
            <App />
          </Router>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
