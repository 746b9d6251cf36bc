// What is shown. Texts of clients and servers become text nodes here and never markup; the service
// has written out what does not show itself, and this only marks it.

/** An element. Attributes that are null or false are left out; children are nodes, texts or nothing. */
export function el(name, attributes = {}, ...children) {
  const it = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on")) it.addEventListener(attribute.slice(2), value);
    else if (value !== null && value !== false && value !== undefined) it.setAttribute(attribute, value === true ? "" : value);
  }
  it.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return it;
}

/** JSON in which strings stand by themselves, so that no letter in one changes the order of what is
    around it, and in which what was written out is marked. */
export function code(text) {
  const pre = el("pre", { class: "code", dir: "ltr" });
  let at = 0;
  for (const string of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"/gs)) {
    pre.append(text.slice(at, string.index), el("bdi", { class: "string" }, marked(string[0])));
    at = string.index + string[0].length;
  }
  pre.append(text.slice(at));
  return pre;
}

function marked(string) {
  const parts = [];
  let at = 0;
  for (const escape of string.matchAll(/\\(?:u[0-9a-fA-F]{4}|.)/gs)) {
    if (!escape[0].startsWith("\\u")) continue;
    parts.push(string.slice(at, escape.index), el("mark", { title: "a character that does not show itself" }, escape[0]));
    at = escape.index + escape[0].length;
  }
  parts.push(string.slice(at));
  return parts;
}

/** A time that is left. */
export function left(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** A longer one, in words. */
export function long(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds % 86400 / 3600), Math.floor(seconds % 3600 / 60)];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

export function name(of) {
  return of.tool ?? of.method;
}

/** A question in the list. */
export function brief(of, chosen, choose) {
  return el("li", {},
    el("button", { type: "button", class: "item", "data-id": of.id, "aria-current": chosen ? "true" : null, onclick: choose },
      el("span", { class: "what" }, of.flood ? `${of.times} calls` : el("bdi", {}, name(of)), of.times > 1 && !of.flood ? ` ×${of.times}` : null),
      el("span", { class: "of" }, of.flood ? "flood of " : "of ", el("bdi", {}, of.server)),
      el("span", { class: "left", "data-left": of.id }),
      of.flood || !of.arguments ? null : el("span", { class: "with", dir: "ltr" }, of.arguments.slice(0, 400).replace(/\s+/g, " "))));
}

function part(title, ...children) {
  return el("section", { class: "part" }, el("h3", {}, title), ...children);
}

function lines(list, kind) {
  return el("ul", { class: `lines ${kind}` }, list.map(it => el("li", {}, el("bdi", {}, it))));
}

/** A question in full, without what answers it. */
export function full(of) {
  const notes = [];
  if (of.flood) {
    notes.push(el("div", { class: "note warn" },
      el("strong", {}, `${of.times} calls wait: more than anybody reads.`),
      el("p", {}, "“Deny all” denies all of them, and those to come in the next minute. “Ask one by one” has each of them asked. Below is the first of them, of ", el("b", { class: "mono" }, el("bdi", {}, name(of))), ".")));
  } else if (of.times > 1) {
    notes.push(el("p", { class: "note" }, `${of.times} calls say exactly this. The answer is for all of them.`));
  }
  if (of.by_server) notes.push(el("p", { class: "note warn" }, "The server itself wants this, not the client."));
  if (of.mended) notes.push(el("p", { class: "note" }, "The policy has mended it. This is what would be sent."));
  const claims = [of.title, of.description, of.annotations].filter(it => it !== null);
  return [
    el("header", { class: "head" },
      el("p", { class: "eyebrow" }, of.flood ? "A flood of calls" : of.by_server ? "A server’s request" : of.tool === null ? "A request" : "A call of a tool"),
      el("h2", { id: "question", tabindex: "-1" }, of.flood ? `${of.times} calls` : el("bdi", {}, name(of))),
      el("dl", { class: "facts" },
        el("div", {}, el("dt", {}, "Server"), el("dd", {}, el("bdi", {}, of.server))),
        el("div", {}, el("dt", {}, "For"), el("dd", {}, el("bdi", {}, of.principal))),
        el("div", {}, el("dt", {}, "Client says it is"), el("dd", {}, el("bdi", {}, of.client))),
        el("div", {}, el("dt", {}, "Time left"), el("dd", { class: "clock", "data-left": of.id })))),
    ...notes,
    part(of.flood ? "What the first would send" : "What would be sent",
      of.arguments ? code(of.arguments) : el("p", { class: "none" }, "No arguments."),
      of.verbatim !== null ? [el("h4", {}, "To the letter, since numbers in it may be rounded above"), code(of.verbatim)] : null,
      of.beside !== null ? [el("h4", {}, "Beside the arguments"), code(of.beside)] : null),
    of.findings.length ? part("What the rules found", lines(of.findings, "found")) : null,
    part("Why you are asked", lines(of.reasons, "why")),
    el("div", { class: "two" },
      part("What is known", of.known.length ? lines(of.known, "known") : el("p", { class: "none" }, "Nothing.")),
      part("What the server says of it",
        el("p", { class: "hint" }, "In its own words. It may be a lie, and changes nothing."),
        claims.length ? claims.map(it => el("blockquote", {}, code(it))) : null,
        of.tool !== null && !of.listed ? el("p", { class: "none" }, "Nothing: it has not listed this tool.") : null,
        of.listed && !claims.length ? el("p", { class: "none" }, "Nothing.") : null)),
    el("p", { class: "reference" }, "Reference ", el("code", {}, of.reference)),
  ];
}

const TIMES = [[900, "15 minutes"], [3600, "1 hour"], [28800, "8 hours"], [86400, "1 day"], [604800, "7 days"], [2592000, "30 days"]];

/** The form of a grant, and what it says: `{ for_s, arguments }`. */
export function grant(of, give, close) {
  const rows = of.grant.map((argument, index) => row(argument, index));
  const time = el("select", { id: "grant-for" }, TIMES.map(([seconds, text]) => el("option", { value: seconds, selected: seconds === 86400 }, text)));
  const wrong = el("p", { class: "wrong", role: "alert" });
  const form = el("form", {
    class: "grant", id: "grant", "aria-labelledby": "grant-title",
    onsubmit: event => {
      event.preventDefault();
      const said = rows.map(it => it.says()).filter(it => it !== null);
      give({ for_s: Number(time.value), arguments: Object.fromEntries(said) });
    },
  },
    el("h3", { id: "grant-title", tabindex: "-1" }, "Allow from now on"),
    el("p", {}, "Calls of ", el("b", {}, el("bdi", {}, name(of))), " of ", el("b", {}, el("bdi", {}, of.server)), " for ", el("b", {}, el("bdi", {}, of.principal)),
      " pass without a question where every argument is as you say here. The narrowest is filled in. It ends when the tool or the server’s command changes, or when you revoke it."),
    el("div", { class: "rows" }, rows.length ? rows.map(it => it.node) : el("p", { class: "none" }, "The call has no arguments.")),
    el("p", { class: "field" }, el("label", { for: "grant-for" }, "For"), time),
    wrong,
    el("p", { class: "buttons" },
      el("button", { type: "button", class: "plain", onclick: close }, "Back"),
      el("button", { type: "submit", class: "allow", "data-answers": "" }, "Allow this and the like of it")));
  return { form, wrong };
}

/** What one argument may be. */
function row(argument, index) {
  const there = argument.value !== null;
  const directory = argument.text?.startsWith("/") ? argument.text.slice(0, argument.text.lastIndexOf("/")) || "/" : "";
  const proposed = { within: directory, matches: (argument.text ?? "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&") };
  const kinds = [there ? ["same", "is exactly this"] : ["absent", "is not there"]];
  if (!there || argument.text !== null) kinds.push(["within", "is a path within"], ["matches", "matches all of a pattern"]);
  kinds.push(["any", there ? "is anything" : "is there or not, anything"]);
  const ids = { kind: `argument-${index}`, text: `argument-${index}-text` };
  const text = el("input", { id: ids.text, type: "text", class: "mono", hidden: true, spellcheck: "false", autocomplete: "off" });
  const kind = el("select", {
    id: ids.kind,
    onchange: () => {
      const written = kind.value in proposed;
      text.hidden = !written;
      text.required = written;
      if (written) text.value = proposed[kind.value];
      text.setAttribute("aria-label", kind.value === "within" ? "directory" : "regular expression");
    },
  }, kinds.map(([value, says]) => el("option", { value }, says)));
  const node = el("div", { class: there ? "row" : "row absent" },
    el("label", { for: ids.kind }, el("bdi", { class: "mono" }, argument.shown)),
    el("div", { class: "bound" }, kind, text),
    // What is long scrolls, and can be scrolled by the keyboard.
    there ? el("div", { class: "now", ...argument.value.length > 400 ? { tabindex: "0", role: "group", "aria-label": `what ${argument.shown} is now` } : {} }, code(argument.value)) : null);
  const says = () => {
    if (kind.value === "same" || kind.value === "absent") return null;
    return [argument.name, kind.value === "any" ? "any" : { [kind.value]: text.value }];
  };
  return { node, says };
}

/** A standing grant. */
export function granted(of, revoke) {
  return el("li", { class: "card" },
    el("div", { class: "card-head" },
      el("h3", {}, el("bdi", {}, of.tool), el("span", {}, " of ", el("bdi", {}, of.server))),
      el("button", { type: "button", class: "deny", "data-grant": of.id, "aria-label": `Revoke the grant of ${of.tool} of ${of.server}`, onclick: revoke }, "Revoke")),
    el("dl", { class: "facts" },
      el("div", {}, el("dt", {}, "For"), el("dd", {}, el("bdi", {}, of.principal))),
      el("div", {}, el("dt", {}, "Ends in"), el("dd", {}, el("span", { "data-ends": of.id }))),
      el("div", {}, el("dt", {}, "Given by"), el("dd", {}, el("bdi", {}, of.by))),
      el("div", {}, el("dt", {}, "Reference"), el("dd", {}, el("code", {}, of.id)))),
    of.arguments.length
      ? el("table", {}, el("caption", { class: "unseen" }, "Arguments"),
        el("tbody", {}, of.arguments.map(([argument, bound]) => el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, argument)), el("td", {}, code(bound))))))
      : el("p", { class: "none" }, "Without arguments."),
    lines(of.reasons, "why"));
}
