// Access test: who may read and write what, by rules of each kind.
import { LIMITS } from '../../../src/base/limits.ts'
import { Access } from '../../../src/topic/access.ts'
import { rulesOf } from '../../support/acl.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('topic/access')

test('what is not listed is denied, and each kind of client has its own lines', () => {
  const rules = rulesOf('topic read news/#\nuser al\ntopic write news/+\n')
  const [anonymous, al, bo] = [null, 'al', 'bo'].map((name) => new Access(rules, name, 'c')) as [Access, Access, Access]
  assert.ok(anonymous.mayRead('news/#') && anonymous.mayRead('news') && anonymous.mayRead('news/+/x'))
  assert.not(anonymous.mayRead('#') || anonymous.mayRead('newspaper') || anonymous.mayWrite('news/a'))
  assert.ok(al.mayWrite('news/a') && al.mayWrite('news/'))
  assert.not(al.mayWrite('news/a/b') || al.mayWrite('news') || al.mayRead('news/a'))
  assert.not(bo.mayRead('news') || bo.mayWrite('news/a'))
})

test('two lines together do not cover what neither covers alone', () => {
  const access = new Access(rulesOf('topic read a\ntopic read a/+/#\n'), null, 'c')
  assert.not(access.mayRead('a/#'))
})

test('deny wins, whatever else is said, before and behind', () => {
  const rules = rulesOf('topic deny a/secret\ntopic a/#\nuser al\ntopic #\npattern deny a/+/hidden\n')
  const anonymous = new Access(rules, null, 'c')
  assert.ok(anonymous.mayWrite('a/x') && anonymous.mayRead('a/x/#') === false && anonymous.mayRead('a/x'))
  assert.not(anonymous.mayWrite('a/secret') || anonymous.mayRead('a/secret') || anonymous.mayRead('a/#'))
  const al = new Access(rules, 'al', 'c')
  assert.ok(al.mayWrite('a/secret') && al.mayRead('b/#'))
  assert.not(al.mayWrite('a/b/hidden') || al.mayRead('#') || al.mayRead('+/+/+'))
})

test('$SYS is listed like any other topic', () => {
  assert.not(new Access(rulesOf('topic read #'), null, 'c').mayRead('$SYS/#'))
  assert.ok(new Access(rulesOf('topic read $SYS/#'), null, 'c').mayRead('$SYS/broker/+'))
})

test('patterns hold the client identifier and the user name', () => {
  const rules = rulesOf('pattern write in/%u/%c\npattern read out/%c/#\npattern read all\n')
  const al = new Access(rules, 'al', 'one')
  assert.ok(al.mayWrite('in/al/one') && al.mayRead('out/one/+') && al.mayRead('all'))
  assert.not(al.mayWrite('in/al/two') || al.mayWrite('in/bo/one') || al.mayWrite('in/%u/%c') || al.mayRead('out/+/x'))
  const anonymous = new Access(rules, null, 'one')
  assert.ok(anonymous.mayRead('out/one/x') && anonymous.mayRead('all'))
  assert.not(anonymous.mayWrite('in//one') || anonymous.mayWrite('in/null/one'))
})

test('a name that is no level of its own gets nothing by a pattern, and is denied what is denied to any', () => {
  const rules = rulesOf('pattern %c/#\npattern room/%u/#\ntopic mine/#\nuser +\ntopic mine/#\npattern deny mine/%c\n')
  for (const clientId of ['#', '+', 'a/b', '$SYS', 'victim/x', '']) {
    const access = new Access(rules, '+', clientId)
    for (const topic of ['a/b', 'a', 'victim/x/y', '$SYS/x', 'room/a/x', 'room/+'])
      assert.not(access.mayWrite(topic), `${clientId} ${topic}`)
    for (const filter of ['#', '+/#', 'a/#', '$SYS/#', 'room/#', 'room/+/#', 'mine/+', 'mine/a'])
      assert.not(access.mayRead(filter), `${clientId} ${filter}`)
    assert.ok(access.mayRead('mine/a/b'))
  }
})

test('judgements are remembered for a bounded number of topics, and told of for fewer', () => {
  const access = new Access(rulesOf('topic write a/+\n'), null, 'c')
  let told = 0
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < LIMITS.judgedTopicsMax + 10; i++) {
      assert.ok(access.mayWrite(`a/${i}`))
      assert.not(access.mayWrite(`b/${i}`))
      if (access.tells(`b/${i}`)) told++
    }
  }
  assert.is(told, LIMITS.refusedTopicsToldMax)
})

test.run()
