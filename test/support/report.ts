// Report: reads the totals that uvu prints at the end of a test file. Knows nothing of processes.

export type Report = { total: number; passed: number; skipped: number }

/** A test may print anything, also another file's totals; the last block is the file's own. */
export function parseReport(output: string): Report {
  const plain = output.replace(/\x1b\[[0-9;]*m/g, '')
  const blocks = [...plain.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm)]
  const last = blocks.at(-1)
  if (last === undefined) return { total: 0, passed: 0, skipped: 0 }
  return { total: Number(last[1]), passed: Number(last[2]), skipped: Number(last[3]) }
}
