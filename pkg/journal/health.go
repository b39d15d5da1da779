package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"
)

// probeSize is in bytes: a record of some VFs has about as many.
const probeSize = 16 << 10

// Trouble says what is the matter with a folder of ours and what mends it, after err.
func Trouble(dir string, err error) error {
	if err == nil {
		return nil
	}
	mend := "mend the disk; pods with VFs are refused until then"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		mend = "the disk is full: free some space there"
	case errors.Is(err, syscall.EROFS):
		mend = "the disk is read-only: mount it writable again, the kernel's log may say why it is not; if a running daemon's folder was replaced, restart the daemon"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ELOOP):
		mend = "something else lies where a folder or file of ours is to be: move it away"
	case errors.Is(err, fs.ErrPermission):
		mend = "let the daemon write there"
	case errors.Is(err, context.DeadlineExceeded):
		mend = "the disk does not answer: see the kernel's log"
	}
	return fmt.Errorf("%w; %s (%s)", err, mend, dir)
}

// Trouble is what the last write or probe met; nil when the disk took it and nothing is owed.
func (j *Journal) Trouble() error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.trouble
}

// Errors counts the writes that failed.
func (j *Journal) Errors() int {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.errors
}

// AsideCount counts the records that were set aside.
func (j *Journal) AsideCount() int {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.setAside
}

func (j *Journal) note(trouble error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.trouble = trouble
}

// Probe tries whether a record could be written, writes what is owed, and answers the trouble. A disk that does not answer
// before ctx ends is trouble, too; its probe is not begun anew while it hangs.
func (j *Journal) Probe(ctx context.Context) error {
	j.mutex.Lock()
	ended := j.probing
	if ended == nil {
		ended = make(chan struct{})
		j.probing = ended
		go func() {
			defer close(ended)
			trouble := Trouble(j.dir, j.probe())
			j.mutex.Lock()
			defer j.mutex.Unlock()
			j.trouble, j.probing = trouble, nil
		}()
	}
	j.mutex.Unlock()
	select {
	case <-ended:
	case <-ctx.Done():
		j.note(Trouble(j.dir, fmt.Errorf("write to %s: %w", j.dir, context.DeadlineExceeded)))
	}
	return j.Trouble()
}

func (j *Journal) probe() error {
	if err := j.makeDir(); err != nil {
		return err
	}
	if err := j.write(make([]byte, probeSize), os.Remove); err != nil {
		return err
	}
	return j.pay("")
}

// pay does what is owed, but for one sandbox.
func (j *Journal) pay(but string) error {
	for _, sandbox := range j.debts() {
		if sandbox == but {
			continue
		}
		if err := j.payOne(sandbox); err != nil {
			return fmt.Errorf("the record of sandbox %s is to be brought up to date first: %w", sandbox, err)
		}
	}
	return nil
}

func (j *Journal) payOne(sandbox string) error {
	j.paying.Lock()
	defer j.paying.Unlock()
	j.mutex.Lock()
	text, owed := j.owed[sandbox]
	j.mutex.Unlock()
	if !owed {
		return nil // paid by another, or superseded
	}
	name, err := j.path(sandbox)
	if err == nil && text == nil {
		err = remove(name)
	} else if err == nil {
		err = j.put(name, text)
	}
	if err == nil {
		j.forgive(sandbox)
	}
	return err
}

func (j *Journal) debts() []string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return slices.Sorted(maps.Keys(j.owed))
}

// supersede takes back what is owed to a sandbox, for which something newer is about to be done. Nobody is in the midst of
// paying then.
func (j *Journal) supersede(sandbox string) {
	j.mutex.Lock()
	_, owed := j.owed[sandbox]
	j.mutex.Unlock()
	if !owed {
		return
	}
	j.paying.Lock()
	defer j.paying.Unlock()
	j.forgive(sandbox)
}

func (j *Journal) forgive(sandbox string) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	delete(j.owed, sandbox)
}
