// Prometheus: its text format 0.0.4, parsed strictly: what a server would refuse or misread is an error here.

export type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
export type Family = {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: Sample[]
}

const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped']
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/

/** @throws where the text is not well formed, or a family is told in pieces */
export function parseMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const families = new Map<string, Family>()
  let help: { name: string; text: string } | null = null
  let family: Family | null = null
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === 'HELP') {
      if (!NAME.test(name) || help !== null) throw new Error(`HELP out of place: ${line}`)
      help = { name, text: unquote(rest) }
    } else if (kind === 'TYPE') {
      if (help?.name !== name || families.has(name) || !TYPES.includes(rest))
        throw new Error(`TYPE out of place: ${line}`)
      family = { name, type: rest, help: help.text, samples: [] }
      families.set(name, family)
      help = null
    } else {
      if (family === null || help !== null) throw new Error(`no HELP and TYPE before: ${line}`)
      addSample(family, line)
    }
  }
  for (const f of families.values()) if (f.type === 'histogram') checkHistogram(f)
  return families
}

function addSample(family: Family, line: string): void {
  const found = SAMPLE.exec(line)
  if (found === null) throw new Error(`no sample: ${line}`)
  const [, name, labelText, valueText] = found as unknown as [string, string, string | undefined, string]
  const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  if (!suffixes.some((suffix) => name === family.name + suffix)) throw new Error(`${name} inside ${family.name}`)
  const labels = parseLabels(labelText ?? '')
  const key = JSON.stringify([name, labels])
  if (family.samples.some((s) => JSON.stringify([s.name, s.labels]) === key)) throw new Error(`twice: ${line}`)
  family.samples.push({ name, labels, value: parseValue(valueText) })
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const found = LABEL.exec(rest)
    if (found === null) throw new Error(`no label: ${rest}`)
    labels[found[1] as string] = unquote(found[2] as string)
    rest = rest.slice(found[0].length)
  }
  return labels
}

function unquote(text: string): string {
  return text.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
}

function parseValue(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text)) throw new Error(`no number: ${text}`)
  return Number(text)
}

function checkHistogram({ name, samples }: Family): void {
  const buckets = samples.filter((s) => s.name === `${name}_bucket`)
  let below = 0
  let bound = Number.NEGATIVE_INFINITY
  for (const { labels, value } of buckets) {
    const le = parseValue(labels['le'] ?? '')
    if (le <= bound || value < below) throw new Error(`the buckets of ${name} do not grow`)
    bound = le
    below = value
  }
  const count = samples.find((s) => s.name === `${name}_count`)?.value
  const hasSum = samples.some((s) => s.name === `${name}_sum`)
  if (bound !== Number.POSITIVE_INFINITY || count !== below || !hasSum) throw new Error(`${name} is incomplete`)
}
