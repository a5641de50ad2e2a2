// InterestCount test: the first and the last of each filter.
import { Bug } from '../../../src/base/assert.ts'
import { InterestCount } from '../../../src/topic/interest.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('topic/interest')

test('add tells the first, remove the last', () => {
  const interest = new InterestCount()
  assert.is(interest.add('a'), true)
  assert.is(interest.add('a'), false)
  assert.is(interest.add('b'), true)
  assert.equal([...interest.filters()], ['a', 'b'])
  assert.is(interest.remove('a'), false)
  assert.is(interest.remove('a'), true)
  assert.equal([...interest.filters()], ['b'])
  assert.is(interest.add('a'), true)
})

test('remove without an add is a bug', () => {
  const interest = new InterestCount()
  interest.add('a')
  interest.remove('a')
  assert.throws(
    () => interest.remove('a'),
    (error: unknown) => error instanceof Bug,
  )
})

test.run()
