import { useMutation } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { get } from "./http.ts";
import { type Asked, type AskOptions, ask, cancel, useKnown } from "./store.ts";
import type { Answer, Json, Message, Notification } from "./types.ts";

/** What a page asked last, under a name that it knows it by: it is still there when somebody comes back. */
const last = new Map<string, Asked>();

export interface Call {
  run: (method: string, params?: Json, options?: AskOptions) => void;
  cancel: () => void;
  asked: Asked | undefined;
  answer: Answer | undefined;
  told: Notification[];
  pending: boolean;
  /** Why it was not even asked. */
  error: Error | null;
}

const NONE: Notification[] = [];

/** One request, from when it is asked until it is answered. */
export function useCall(server: string, name: string): Call {
  const key = `${server} ${name}`;
  const [asked, setAsked] = useState(() => last.get(key));
  const request = asked?.request;
  const answer = useKnown(it => (request ? it.answers.get(request) : undefined));
  const told = useKnown(it => (request ? it.told.get(request) : undefined)) ?? NONE;
  const begin = useMutation({
    mutationFn: async ({
      method,
      params,
      options,
    }: {
      method: string;
      params: Json | undefined;
      options: AskOptions;
    }) => {
      const id = await ask(server, method, params, options);
      return { request: id, server, method, params, at: Date.now() };
    },
    onSuccess: it => {
      last.set(key, it);
      setAsked(it);
    },
  });
  const { mutate } = begin;
  const run = useCallback(
    (method: string, params?: Json, options: AskOptions = {}) => mutate({ method, params, options }),
    [mutate],
  );
  return {
    run,
    cancel: () => {
      if (request) void cancel(server, request);
    },
    asked,
    answer: useWhole(answer),
    told,
    pending: begin.isPending || (asked !== undefined && answer === undefined),
    error: begin.error,
  };
}

/** A long result does not come with the event: it is read from the traffic. */
function useWhole(answer: Answer | undefined): Answer | undefined {
  const [whole, setWhole] = useState<Answer>();
  const isLong = answer?.long === true;
  useEffect(() => {
    if (!isLong || answer?.message === undefined) return undefined;
    let here = true;
    void get<Message>(`/api/messages/${answer.message}`).then(message => {
      const { result } = JSON.parse(message.sent ?? message.text ?? "{}") as { result?: Json };
      if (here) setWhole({ ...answer, result: result ?? {} });
    });
    return () => {
      here = false;
    };
  }, [isLong, answer]);
  return isLong ? (whole?.request === answer.request ? whole : undefined) : answer;
}
