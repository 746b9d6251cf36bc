import { lazy, Suspense, useEffect } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { useKnown, useQuestions } from "./api/store.ts";
import { Out } from "./pages/out.tsx";
import { ServersPage } from "./pages/servers.tsx";
import { Busy } from "./parts/states.tsx";
import { Shell } from "./shell.tsx";

const ToolsPage = lazy(() => import("./pages/tools.tsx"));
const PromptsPage = lazy(() => import("./pages/prompts.tsx"));
const ResourcesPage = lazy(() => import("./pages/resources.tsx"));
const RequestsPage = lazy(() => import("./pages/requests.tsx"));
const TrafficPage = lazy(() => import("./pages/traffic.tsx"));
const LogsPage = lazy(() => import("./pages/logs.tsx"));
const FindingsPage = lazy(() => import("./pages/findings.tsx"));
const LedgerPage = lazy(() => import("./pages/ledger.tsx"));
const GuardPage = lazy(() => import("./pages/guard.tsx"));

export function App() {
  const link = useKnown(it => it.link);
  const about = useKnown(it => it.about);
  const waiting = useQuestions().length;
  const [path] = useLocation();

  useEffect(() => {
    const page = path.split("/")[1] || "servers";
    const title = page[0]?.toUpperCase() + page.slice(1);
    document.title = `${waiting ? `(${waiting}) ` : ""}${title} · Stockade`;
  }, [path, waiting]);

  if (link === "out" || link === "over") return <Out />;
  if (!about) return <Busy says="Connecting to the program" />;
  return (
    <Shell>
      <Suspense fallback={<Busy says="Loading the page" />}>
        <Switch>
          <Route path="/servers/:id?" component={ServersPage} />
          <Route path="/tools/:name?" component={ToolsPage} />
          <Route path="/prompts/:name?" component={PromptsPage} />
          <Route path="/resources/:kind?/:name?" component={ResourcesPage} />
          <Route path="/requests/:id?" component={RequestsPage} />
          <Route path="/traffic/:n?" component={TrafficPage} />
          <Route path="/logs" component={LogsPage} />
          <Route path="/findings" component={FindingsPage} />
          <Route path="/guard" component={GuardPage} />
          <Route path="/ledger" component={LedgerPage} />
          <Route>
            <Redirect to="/servers" replace />
          </Route>
        </Switch>
      </Suspense>
    </Shell>
  );
}
