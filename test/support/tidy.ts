// Tidy rules: each rule is a function from source files to findings. Knows nothing of the file system.

/** One file of the repository: path with forward slashes relative to the root, and its text. */
export type Source = { path: string; text: string }

/** `path:line: what is wrong` — as editors like it. */
export type Finding = string

/** From left to right; a layer imports itself and layers to its left, but `connection` and `pair` never each other. */
export const LAYERS = ['base', 'wire', 'topic', 'session', 'connection', 'pair', 'core', 'host', 'cli', 'main']

const LINES_MAX = 400

const PACKAGE_OWNERS: Readonly<Record<string, string>> = {
  'mqtt-packet': 'wire',
  '@msgpack/msgpack': 'wire',
  cac: 'cli',
}

/** Layers that may read clocks, await and touch the runtime. */
const IMPURE = new Set(['host', 'cli', 'main'])

function layerOf(path: string): string {
  const parts = path.split('/')
  return parts.length === 2 ? parts[1]!.replace(/\.ts$/, '') : parts[1]!
}

function isSource(file: Source): boolean {
  return file.path.startsWith('src/') && file.path.endsWith('.ts')
}

function lineAt(text: string, offset: number): number {
  let line = 1
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++
  return line
}

/**
 * The text with comments and the contents of strings blanked out, every offset and line kept. Template literals are blanked
 * but for what stands in `${}`; a regular expression is told from a division by what stands before it.
 */
export function codeOnly(text: string): string {
  const out = text.split('')
  const blank = (from: number, to: number) => {
    for (let i = from; i < to && i < out.length; i++) if (out[i] !== '\n') out[i] = ' '
  }
  const braces: number[] = []
  let depth = 0
  let lastCode = ''
  let i = 0
  const skipTemplate = (from: number): number => {
    let j = from
    while (j < text.length && text[j] !== '`') {
      if (text[j] === '\\') j++
      else if (text[j] === '$' && text[j + 1] === '{') {
        blank(from, j)
        braces.push(depth++)
        return j + 2
      }
      j++
    }
    blank(from, j)
    return j + 1
  }
  while (i < text.length) {
    const c = text[i]!
    const next = text[i + 1]
    if (c === '/' && next === '/') {
      const end = text.indexOf('\n', i)
      blank(i, end === -1 ? text.length : end)
      i = end === -1 ? text.length : end
    } else if (c === '/' && next === '*') {
      const end = text.indexOf('*/', i + 2)
      blank(i, end === -1 ? text.length : end + 2)
      i = end === -1 ? text.length : end + 2
    } else if (c === "'" || c === '"') {
      let j = i + 1
      while (j < text.length && text[j] !== c && text[j] !== '\n') j += text[j] === '\\' ? 2 : 1
      blank(i + 1, j)
      i = j + 1
      lastCode = c
    } else if (c === '`') {
      i = skipTemplate(i + 1)
      lastCode = '`'
    } else if (c === '/' && /^[(,=:[!&|?{};<>+\-*%~^]?$/.test(lastCode)) {
      let j = i + 1
      for (let inClass = false; j < text.length && text[j] !== '\n' && (text[j] !== '/' || inClass); j++) {
        if (text[j] === '\\') j++
        else if (text[j] === '[') inClass = true
        else if (text[j] === ']') inClass = false
      }
      blank(i + 1, j)
      i = j + 1
      lastCode = '/'
    } else {
      if (c === '{') depth++
      if (c === '}') {
        depth--
        if (braces.at(-1) === depth) {
          braces.pop()
          i = skipTemplate(i + 1)
          lastCode = '`'
          continue
        }
      }
      if (!/\s/.test(c)) lastCode = c
      i++
    }
  }
  return out.join('')
}

export type Import = { from: string; typeOnly: boolean; line: number; statement: string }

/** Static and dynamic imports, and re-exports. */
export function importsOf(file: Source): Import[] {
  const found: Import[] = []
  const code = codeOnly(file.text)
  // Quotes survive in `code`, their contents do not: find the place there, read the path in the text.
  const pattern = /\b(import|export)\b([^'"`;()=]*?)\bfrom\s*(['"])|\bimport\s*\(?\s*(['"])/g
  for (const match of code.matchAll(pattern)) {
    const quoteAt = match.index + match[0].length - 1
    const quote = file.text[quoteAt]!
    const from = file.text.slice(quoteAt + 1, file.text.indexOf(quote, quoteAt + 1))
    const clause = (match[2] ?? '').trim()
    const names = /^\{([^}]*)\}$/.exec(clause)?.[1]?.split(',') ?? []
    const named = names.map((name) => name.trim()).filter((name) => name !== '')
    const typeOnly =
      /^type\s+[^,]/.test(clause) || (named.length > 0 && named.every((name) => name.startsWith('type ')))
    found.push({ from, typeOnly, line: lineAt(code, match.index), statement: match[0] })
  }
  return found
}

/** `./x.ts` of `src/a/b.ts` → `src/a/x.ts`. */
function resolved(path: string, from: string): string {
  const parts = path.split('/').slice(0, -1)
  for (const step of from.split('/')) {
    if (step === '..') parts.pop()
    else if (step !== '.') parts.push(step)
  }
  return parts.join('/')
}

function each(files: readonly Source[], check: (file: Source, add: (line: number, text: string) => void) => void) {
  const findings: Finding[] = []
  for (const file of files) {
    if (isSource(file)) check(file, (line, text) => findings.push(`${file.path}:${line}: ${text}`))
  }
  return findings
}

export function arrows(files: readonly Source[]): Finding[] {
  return each(files, (file, add) => {
    const own = layerOf(file.path)
    const ownAt = LAYERS.indexOf(own)
    if (ownAt === -1) return add(1, `src/${own} is no layer; layers are ${LAYERS.join(' ← ')}`)
    for (const { from, line } of importsOf(file)) {
      if (!from.startsWith('.')) continue
      const target = resolved(file.path, from)
      if (!target.startsWith('src/')) {
        add(line, `imports ${from}, which lies outside src/`)
        continue
      }
      const other = layerOf(target)
      const apart =
        (own === 'pair' && other === 'connection') || (own === 'wire' && other !== 'wire' && other !== 'base')
      if (LAYERS.indexOf(other) > ownAt || apart) add(line, `${own} must not import ${other} (${from})`)
    }
  })
}

export function packages(files: readonly Source[]): Finding[] {
  return each(files, (file, add) => {
    for (const { from, line, typeOnly } of importsOf(file)) {
      // Types of a runtime are gone before anything runs.
      if (from.startsWith('.') || from.startsWith('node:') || typeOnly) continue
      const owner = PACKAGE_OWNERS[from]
      if (owner === undefined) add(line, `imports the package ${from}, which is no runtime dependency`)
      else if (layerOf(file.path) !== owner) add(line, `only ${owner} may import ${from}`)
    }
  })
}

export function paths(files: readonly Source[]): Finding[] {
  return each(files, (file, add) => {
    if (file.path.endsWith('/index.ts')) add(1, 'a file named index.ts is a barrel; name it after what it holds')
    for (const { from, line } of importsOf(file)) {
      if (from.startsWith('.') && !from.endsWith('.ts')) add(line, `write the path with its ending: ${from}.ts`)
    }
    for (const match of codeOnly(file.text).matchAll(/\bexport\s*\*/g)) {
      add(lineAt(file.text, match.index), 'no `export *`: import from the file that defines the name')
    }
  })
}

const IMPURE_NAMES: readonly [RegExp, string][] = [
  [/(?<![.\w$])Date\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)/g, 'reads the clock'],
  [/(?<![.\w$])performance\s*\./g, 'reads the clock'],
  [/\bMath\s*\.\s*random\b/g, 'is random'],
  [/(?<![.\w$])crypto\s*\./g, 'is random'],
  [/(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g, 'schedules'],
  [/(?<![.\w$])(?:await|async)\b(?!\s*:)/g, 'waits'],
  [/\bnew\s+Promise\b|(?<![.\w$])Promise\s*\./g, 'waits'],
  [/(?<![.\w$])process\s*[.[]/g, 'touches the runtime'],
  [/(?<![.\w$])(?:Bun|Deno)\s*[.[]/g, 'touches the runtime'],
  [/(?<![.\w$])console\s*\./g, 'prints'],
]

export function purity(files: readonly Source[]): Finding[] {
  return each(files, (file, add) => {
    if (IMPURE.has(layerOf(file.path))) return
    const code = codeOnly(file.text)
    for (const [pattern, why] of IMPURE_NAMES) {
      for (const match of code.matchAll(pattern)) {
        add(lineAt(code, match.index), `\`${match[0].trim()}\` ${why}; that belongs to host/, cli/ or main.ts`)
      }
    }
    for (const { from, typeOnly, line } of importsOf(file)) {
      const runtime = from.startsWith('node:') || from === 'bun' || from.startsWith('bun:')
      if (runtime && !typeOnly) add(line, `imports ${from}; that belongs to host/, cli/ or main.ts`)
    }
  })
}

export function headers(files: readonly Source[]): Finding[] {
  return each(files, (file, add) => {
    if (!/^\/\/ \w[\w /'()-]*: \S/.test(file.text)) add(1, 'begins without a header comment `// Name: what it is`')
  })
}

export function leftovers(files: readonly Source[]): Finding[] {
  return each(files, (file, add) => {
    for (const match of file.text.matchAll(/\b(?:FIXME|TODO|XXX)\b/g)) {
      add(lineAt(file.text, match.index), `leftover ${match[0]}`)
    }
  })
}

/** `longer` is the ratchet: path → { lines, why }. An entry that is no longer needed, or too generous, is a finding itself. */
export function lengths(
  files: readonly Source[],
  longer: Readonly<Record<string, { lines: number; why: string }>> = {},
): Finding[] {
  const seen = new Set<string>()
  const findings = each(files, (file, add) => {
    const lines = file.text.replace(/\n$/, '').split('\n').length
    const allowed = longer[file.path]
    seen.add(file.path)
    if (lines > (allowed?.lines ?? LINES_MAX)) add(lines, `has ${lines} lines, at most ${allowed?.lines ?? LINES_MAX}`)
    if (allowed !== undefined && lines <= LINES_MAX) add(1, 'needs no place in the list of longer files any more')
    else if (allowed !== undefined && lines < allowed.lines - 40) add(1, `has ${lines} lines: lower its ratchet`)
  })
  for (const path of Object.keys(longer)) {
    if (!seen.has(path)) findings.push(`${path}:1: in the list of longer files, but does not exist`)
  }
  return findings
}

export function erasable(files: readonly Source[]): Finding[] {
  return each(files, (file, add) => {
    const code = codeOnly(file.text)
    for (const match of code.matchAll(/^[ \t]*(?:export\s+)?(?:declare\s+)?(?:const\s+)?(enum|namespace)\s+\w/gm)) {
      add(lineAt(code, match.index), `no ${match[1]}: write an \`as const\` object or plain functions`)
    }
  })
}

/** Clauses of MQTT 5.0 as [MQTT-3.1.4-3]; those of 3.1.1, whose numbers mean other things, as [MQTT-3.1.1/3.1.4-2]. */
const CLAUSE = /\[MQTT-(?:3\.1\.1\/)?\d+(?:\.\d+)+-\d+\]/g

/** Each clause cited in src/ must be cited by a test. */
export function clauses(files: readonly Source[]): Finding[] {
  const pattern = CLAUSE
  const tested = new Set<string>()
  for (const file of files) {
    if (file.path.startsWith('test/')) for (const match of file.text.matchAll(pattern)) tested.add(match[0])
  }
  const reported = new Set<string>()
  return each(files, (file, add) => {
    for (const match of file.text.matchAll(pattern)) {
      if (tested.has(match[0]) || reported.has(match[0])) continue
      reported.add(match[0])
      add(lineAt(file.text, match.index), `${match[0]} is cited here, but no test cites it`)
    }
  })
}

/** Each clause cited anywhere must be one of the standards. */
export function realClauses(files: readonly Source[], known: ReadonlySet<string>): Finding[] {
  return files.flatMap((file) =>
    [...file.text.matchAll(CLAUSE)]
      .filter(([tag]) => !known.has(tag))
      .map((match) => `${file.path}:${lineAt(file.text, match.index)}: ${match[0]} is in no standard`),
  )
}

/** Each statement that can be tested on a server is cited by a test, and no other is. @param testable by tag */
export function statements(files: readonly Source[], testable: ReadonlyMap<string, boolean>): Finding[] {
  const cited = new Set<string>()
  for (const file of files) {
    if (file.path.endsWith('.test.ts')) for (const [tag] of file.text.matchAll(CLAUSE)) cited.add(tag)
  }
  return [...testable].flatMap(([tag, can]) => {
    if (can === cited.has(tag)) return []
    return [
      `fixtures/spec:1: ${tag} ${can ? 'can be tested, but no test cites it' : 'is said to be untestable, but is cited by a test'}`,
    ]
  })
}

/** A document that names tests by words of their titles, between back quotes in the last column of its tables under `heading`. */
export function titles(files: readonly Source[], path: string, heading: string): Finding[] {
  const document = files.find((file) => file.path === path)?.text ?? ''
  const from = document.indexOf(`\n## ${heading}\n`)
  if (from < 0) return [`${path}:1: has no section "${heading}"`]
  const to = document.indexOf('\n## ', from + 1)
  const section = document.slice(from, to < 0 ? undefined : to)
  const tests = files.filter((file) => file.path.endsWith('.test.ts'))
  const known = tests.flatMap(({ text }) =>
    text.split('\n').filter((line) => /^\s*(test\(|const titleOf|`)/.test(line)),
  )
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2) // below the heads
  if (rows.length === 0) return [`${path}:${lineAt(document, from + 1)}: names no test`]
  return rows.flatMap((row) => {
    const cell = row.split('|').at(-2) as string
    const words = [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string)
    const unknown = words.filter(
      (w) =>
        !(w.endsWith('.ts')
          ? tests.some(({ path: p }) => p.endsWith(`/${w}`))
          : known.some((line) => line.includes(w))),
    )
    if (words.length === 0) unknown.push('nothing')
    return unknown.map((w) => `${path}:${lineAt(document, document.indexOf(row))}: no test is titled so: ${w}`)
  })
}

export function designs(files: readonly Source[]): Finding[] {
  const known = new Set(files.map((file) => file.path))
  const folders = new Set(files.filter(isSource).map((file) => file.path.split('/').slice(0, -1).join('/')))
  const findings: Finding[] = []
  for (const folder of [...folders].sort()) {
    if (folder.split('/').length <= 2 && !known.has(`${folder}/DESIGN.md`)) {
      findings.push(`${folder}/DESIGN.md:1: missing; each layer says what it is, decides and refuses to know`)
    }
  }
  return findings
}

/** Paths of one machine and hosts of registries have no place in the repository. Built so that this file holds none. */
const PLACES = new RegExp(
  [
    ['', 'work', ''].join('/') + '(?=[a-z.])',
    ['', 'root', ''].join('/') + '(?=[a-z.])',
    ['', 'home', ''].join('/') + '(?=[a-z])',
    ['registry', 'npmjs'].join('\\.'),
    ['registry', 'yarnpkg'].join('\\.'),
    `"${'resolved'}":`,
  ].join('|'),
  'g',
)

export function places(files: readonly Source[]): Finding[] {
  const findings: Finding[] = []
  for (const file of files) {
    // What the executable's own file system is called is a fact about Bun, not about a machine.
    const text = file.text.replaceAll('$bunfs/root/', '$bunfs-root-')
    for (const match of text.matchAll(PLACES)) {
      findings.push(`${file.path}:${lineAt(text, match.index)}: names a machine's path or a registry: ${match[0]}`)
    }
  }
  return findings
}
