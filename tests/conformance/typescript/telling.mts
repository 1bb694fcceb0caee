// What handlers remember beside their journals, and how they put failures into the words of the tests.

import { TerminalError } from "@restatedev/restate-sdk";

/** How often something was begun in this process, by what the caller named it. */
export const tried = new Map<string, number>();

export function begin(name: string): number {
  const times = (tried.get(name) ?? 0) + 1;
  tried.set(name, times);
  return times;
}

/** The code of a terminal error. No other error is a handler's to catch. */
export function codeOf(error: unknown): number {
  if (error instanceof TerminalError) return error.code;
  throw error;
}

/** What `action` gives, or its terminal error. */
export async function told(action: () => Promise<string>): Promise<string> {
  try {
    return await action();
  } catch (error) {
    return `${codeOf(error)} ${(error as TerminalError).message}`;
  }
}
