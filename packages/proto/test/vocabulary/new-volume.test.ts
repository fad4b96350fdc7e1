import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GIB, LIMITS, MIB, newVolume, newVolumeProblem, TIB, type VolumeRequest } from '@ashlar/proto'

describe('a new volume', () => {
  it('has defaults for all but its name and size', () => {
    assert.deepEqual(newVolume({ name: 'disk', sizeBytes: GIB }), {
      ...{ name: 'disk', sizeBytes: GIB, blockSizeBytes: LIMITS.defaultBlockBytes },
      ...{ extentSizeBytes: 256 * MIB, replicas: 3, minInSync: 2 },
    })
    assert.equal(newVolume({ name: 'disk', sizeBytes: 2 * TIB }).extentSizeBytes, 512 * MIB)
    assert.equal(newVolume({ name: 'disk', sizeBytes: GIB, replicas: 5 }).minInSync, 3)
    assert.equal(newVolume({ name: 'disk', sizeBytes: GIB, replicas: undefined, minInSync: 1 }).minInSync, 1)
  })

  it('is refused in one sentence that names what is wrong', () => {
    const problem = (changes: Partial<VolumeRequest>) =>
      newVolumeProblem(newVolume({ name: 'disk', sizeBytes: GIB, ...changes }))
    assert.equal(problem({}), undefined)
    assert.match(problem({ name: 'Disk' }) ?? '', /^"Disk" is not a volume name: a name is 1 to 63 of /)
    assert.match(problem({ sizeBytes: 0 }) ?? '', /^size must be/)
    assert.match(problem({ sizeBytes: Number.NaN }) ?? '', /^size must be/)
    assert.match(problem({ blockSizeBytes: 5000 }) ?? '', /^block size must be/)
    for (const replicas of [0, 6, 1.5, Number.NaN]) {
      assert.equal(problem({ replicas }), `replicas must be a whole number from 1 to 5, not ${replicas}`)
    }
    assert.equal(problem({ minInSync: 4 }), 'minInSync must be a whole number from 1 to the 3 replicas, not 4')
    assert.equal(problem({ minInSync: 0 }), 'minInSync must be a whole number from 1 to the 3 replicas, not 0')
  })
})
