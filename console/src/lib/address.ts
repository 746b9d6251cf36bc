// An address that a server wants opened, as a person has to see it before.

export interface Address {
  host: string;
  scheme: string;
  /** What a browser may be sent to: of http and https alone. */
  opens: string | null;
  warnings: string[];
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export function addressOf(it: unknown): Address {
  const nothing = { host: "", scheme: "", opens: null };
  if (typeof it !== "string" || !URL.canParse(it)) return { ...nothing, warnings: ["This is no address."] };
  const url = new URL(it);
  const scheme = url.protocol.replace(":", "");
  const isWeb = scheme === "https" || scheme === "http";
  const warnings: string[] = [];
  if (!isWeb) warnings.push("It is no address of the web, and is not opened.");
  if (scheme === "http" && !LOOPBACK.test(url.hostname)) warnings.push("It is not encrypted on its way.");
  if (url.hostname.split(".").some(each => each.startsWith("xn--"))) {
    warnings.push("Its host is written in other letters than it seems to be (Punycode).");
  }
  if (url.username || url.password) warnings.push("It has a name or a password before its host.");
  if (/^\d+(\.\d+){3}$|^\[/.test(url.hostname)) warnings.push("Its host is a number, not a name.");
  return { host: url.host, scheme, opens: isWeb ? url.href : null, warnings };
}
