import { describe, expect, test } from 'vitest'
import { hostnameOf, isKnownName } from './local-names.ts'

describe('a service without a key is called under', () => {
  test.each([
    '127.0.0.1',
    '192.168.1.20',
    '0x7f.1',
    '[::1]',
    '[fe80::1]',
    'LocalHost',
    'localhost.',
    'stt',
    'app.localhost',
    'hearth.local',
    'hearth.lan',
    'host.docker.internal',
    'stt.hearth.svc',
    'stt.hearth.svc.cluster.local',
    'hearth.home.arpa',
  ])('%s', (host) => {
    expect(isKnownName(hostnameOf(`http://${host}:8080`))).toBe(true)
  })
})

describe('and not under', () => {
  test.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.nip.io',
    'local.example',
    'evil.notlocal',
    'user@evil.example',
    'a b',
    '.',
    '',
  ])('"%s"', (host) => {
    expect(isKnownName(hostnameOf(`http://${host}`))).toBe(false)
  })
})

test.each([
  ['home.example', ['home.example'], true],
  ['HOME.example', ['Home.Example'], true],
  ['a.home.example', ['home.example'], false],
  ['a.home.example', ['.home.example'], true],
  ['home.example', ['.home.example'], true],
  ['evilhome.example', ['.home.example'], false],
  ['anything.example', ['*'], true],
  ['home.example', [], false],
])('%s where %j is allowed: %s', (name, allowed, expected) => {
  expect(isKnownName(name, allowed)).toBe(expected)
})
