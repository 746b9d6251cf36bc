import { Alert } from "@mantine/core";
import { Component, lazy, type ReactNode, Suspense } from "react";
import { Busy } from "./states.tsx";

const Inner = lazy(() => import("./form-inner.tsx"));

export interface FormProps {
  schema: unknown;
  value: unknown;
  onChange: (value: unknown) => void;
  prefix: string;
}

/** A form made of a server's schema. What it is made with is loaded when there is one. */
export function SchemaForm(props: FormProps) {
  return (
    <Safe key={JSON.stringify(props.schema)}>
      <Suspense fallback={<Busy says="Making the form" />}>
        <Inner {...props} />
      </Suspense>
    </Safe>
  );
}

/** A schema may be anything, and a library need not get along with it. The JSON is there in any case. */
class Safe extends Component<{ children: ReactNode }, { wrong: string | null }> {
  override state = { wrong: null };

  static getDerivedStateFromError(error: unknown) {
    return { wrong: error instanceof Error ? error.message : String(error) };
  }

  override render() {
    if (this.state.wrong === null) return this.props.children;
    return (
      <Alert color="yellow" title="No form can be made of this schema">
        {this.state.wrong} Write the arguments as JSON.
      </Alert>
    );
  }
}
