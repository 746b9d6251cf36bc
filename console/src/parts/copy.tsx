import { Button, CopyButton } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";

/** Puts a text where it can be pasted. */
export function Copy({ text, label }: { text: string | (() => string); label: string }) {
  return (
    <CopyButton value={typeof text === "string" ? text : text()} timeout={1500}>
      {({ copied, copy }) => (
        <Button
          variant="subtle"
          color="gray"
          size="xs"
          leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          onClick={copy}
        >
          {copied ? "Copied" : label}
        </Button>
      )}
    </CopyButton>
  );
}
