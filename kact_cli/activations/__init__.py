from kact_cli.activations.registry import ACTIVATIONS, Activation, Parameter, Value, Axis, Doc, activation, Tile
import numpy as np
from typing import Annotated
@activation
def relu(x: Tile, tmp: Tile, /, *, alpha: Annotated[float, Doc("slope at or below the threshold.", ("negative_slope",))] = 0.0, max_value: Annotated[float|None, Doc("max.")] = None, threshold: Annotated[float, Doc("thr.")]=0.0) -> None:
    """R.

    f"""
    np.clip(x, 0, np.inf, out=x)
@activation
def sigmoid(x: Tile, tmp: Tile, /) -> None:
    """S.

    f"""
    np.negative(x, out=x); np.exp(x, out=x); np.add(x, 1, out=x); np.divide(1, x, out=x)
class S:
    def statistics(self, x, tmp):
        m = x.max(1, initial=-np.inf); 
        s = np.exp(x - m[:,None]).sum(1, dtype=np.float64)
        s[m==-np.inf] = 0
        return m, s
    def merge(self, a, b):
        m = np.maximum(a[0], b[0]); s = 0
        for mm, ss in (a, b):
            t = ss*np.exp(mm.astype('f8')-m); s = s + np.where(mm==-np.inf, 0, t)
        return m, s
    def finish(self, x, tmp, st):
        np.subtract(x, st[0][:,None], out=x); np.exp(x, out=x); np.divide(x, st[1][:,None], out=x)
@activation(streamed=S())
def softmax(x: Tile, tmp: Tile, /, *, axis: Annotated[Axis, Doc("the axis.")] = -1) -> None:
    """S.

    f"""
    s = S(); s.finish(x, tmp, s.statistics(x, tmp))
