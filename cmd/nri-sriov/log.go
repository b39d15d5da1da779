package main

import (
	"context"

	"github.com/sirupsen/logrus"
)

// nriLog passes the NRI library's words on, a level lower: what matters is said by our own.
type nriLog struct{ log *logrus.Logger }

// Debugf, Infof, Warnf and Errorf make it a logger of the NRI library.
func (l nriLog) Debugf(_ context.Context, format string, args ...any) { l.log.Tracef(format, args...) }

// Infof is Debugf for what the library calls information.
func (l nriLog) Infof(_ context.Context, format string, args ...any) { l.log.Debugf(format, args...) }

// Warnf passes a warning on.
func (l nriLog) Warnf(_ context.Context, format string, args ...any) { l.log.Warnf(format, args...) }

// Errorf passes an error on, as a warning: the caller gets the error itself.
func (l nriLog) Errorf(_ context.Context, format string, args ...any) { l.log.Warnf(format, args...) }
