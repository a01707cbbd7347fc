// What a person does at the box: one call that either did, or says why not in both languages.
import type { Problem } from "./client";

export type Refusal = Problem | { lost: true };
export type Outcome<T> = { ok: true; data: T } | { ok: false; why: Refusal };

/** Runs a call of api and gives what came of it; it never rejects. */
export async function act<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<Outcome<T>> {
  try {
    const { data, error, response } = await call;
    if (response.ok) return { ok: true, data: data as T };
    return { ok: false, why: (error as Problem) ?? { lost: true } };
  } catch {
    return { ok: false, why: { lost: true } };
  }
}
