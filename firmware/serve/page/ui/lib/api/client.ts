// The box's API, typed from its own description (types.d.ts, made by `make openapi`).
import createClient from "openapi-fetch";
import type { components, paths } from "./types";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/** How long an answer may take before the box counts as out of reach. */
export const patience = 8000;

/** Asks with a limit of time; what fails to arrive rejects as a TypeError. */
export async function ask(input: Request): Promise<Response> {
  const c = new AbortController();
  const timer = setTimeout(() => c.abort(), patience);
  try {
    return await fetch(input, { signal: c.signal, credentials: "same-origin" });
  } finally {
    clearTimeout(timer);
  }
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: ask });
